// What other scripts have in common; it stands before each of them.

// To be called before reading: of a graph that is being made again, a part would pass for the whole.
def requireWhole = { source, uid ->
    source.V().has('uid', uid).has('rebuilt_upto').toList().each {
        throw new IllegalStateException("the graph is being rebuilt: ${it.value('applied_seq')} of ${it.value('rebuilt_upto')}")
    }
}

// A transaction of its own for one reading, which takes no locks. Roll it back.
def withoutLocks = {
    graph.buildTransaction().readOnly().customOption('storage.berkeleyje.isolation-level', 'READ_COMMITTED').start()
}
