// A page of members. Bindings: cluster uid; projection uid; member label; after; limit. Answers rows [image id, member
// seq].
// It is read as of the applied position, up to which everything is committed, and without locks: a reader that waits for
// a record of a writer that gives up goes on to the next one, and misses the same record written again.
// local() makes the vertex-centric index serve the order; without it all edges are read and sorted.
def tx = graph.buildTransaction().readOnly()
    .customOption('storage.berkeleyje.isolation-level', 'READ_COMMITTED').start()
try {
    def g = tx.traversal()
    def applied = g.V().has('uid', projection).values('applied_seq').tryNext().orElse(0L)
    return g.V().has('uid', cluster)
        .local(__.inE(member).has('seq', gt(after as long)).has('seq', lte(applied)).order().by('seq')
            .limit(limit as long))
        .toList().collect { [it.value('member_id'), it.value('seq')] }
} finally {
    tx.rollback()
}
