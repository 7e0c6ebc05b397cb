// Where images are. Bindings: lookup, 'uid' or 'walk_uid'; uids; member label; isolated: in a transaction of its own
// that takes no locks, for long walks. Answers rows [image id, cluster id, head, version, run, seq,
// indexed].
def tx = isolated ? graph.buildTransaction().readOnly()
    .customOption('storage.berkeleyje.isolation-level', 'READ_COMMITTED').start() : graph
try {
    return tx.traversal().V().has(lookup, within(uids as Set)).toList().collectMany { image ->
        def clusters = image.vertices(Direction.OUT, member)
        if (!clusters.hasNext()) return []
        def cluster = clusters.next()
        [[image.value('image_id'), cluster.value('cluster_id'), cluster.value('head'),
          image.value('version'), image.value('run'), image.value('decided_seq'), image.value('indexed')]]
    }
} finally {
    if (isolated) tx.rollback()
}
