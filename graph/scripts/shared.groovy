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

// The applied position: [seq, ledger offset, proposal offset], or nothing.
def positionOf = { source, uid ->
    source.V().has('uid', uid).toList().collectMany {
        if (it.property('dropping').isPresent()) throw new IllegalStateException('the graph is being dropped, to be rebuilt')
        [it.value('applied_seq'), it.value('ledger_offset'), it.value('proposal_offset')]
    }
}

// Where images are: rows [image id, cluster id, segment's cluster id, head, version, run, seq, indexed]. The clusters that hold them
// come into roots, by uid.
def placementsOf = { source, images, member, roots ->
    images.collectMany { image ->
        def clusters = image.vertices(Direction.OUT, member)
        if (!clusters.hasNext()) return []
        def segment = clusters.next()
        def uid = segment.property('root').orElse('') ?: segment.value('uid')
        def root = roots.computeIfAbsent(uid) { it == segment.value('uid') ? segment : source.V().has('uid', it).next() }
        [[image.value('image_id'), root.value('cluster_id'), segment.value('cluster_id'), root.value('head'),
          image.value('version'), image.value('run'), image.value('decided_seq'), image.value('indexed')]]
    }
}

// What a cluster that is no part of another one is: [cluster id, head, size, since, exemplars, ids of its parts in the order of
// reading, the own one left out].
def clusterRow = { source, root ->
    def parts = root.property('parts').orElse('').tokenize(',')
    def names = parts ? source.V().has('uid', within(parts)).toList().collectEntries {
        [(it.value('uid')): it.value('cluster_id')]
    } : [:]
    [root.value('cluster_id'), root.value('head'), root.value('size'), root.value('since'), root.value('exemplars'),
     parts.collect { names[it] }]
}
