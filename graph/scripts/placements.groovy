// Where images are. Bindings: lookup, 'uid' or 'walk_uid'; uids; member label; projection uid; isolated: in a transaction of its own
// that takes no locks, for long walks. Answers rows [image id, cluster id, segment's cluster id, head, version, run, seq,
// indexed].
def tx = isolated ? withoutLocks() : graph
try {
    def g = tx.traversal()
    requireWhole(g, projection)
    def roots = [:]
    return g.V().has(lookup, within(uids as Set)).toList().collectMany { image ->
        def clusters = image.vertices(Direction.OUT, member)
        if (!clusters.hasNext()) return []
        def segment = clusters.next()
        def uid = segment.property('root').orElse('')
        def root = uid ? roots.computeIfAbsent(uid) { g.V().has('uid', it).next() } : segment
        [[image.value('image_id'), root.value('cluster_id'), segment.value('cluster_id'), root.value('head'),
          image.value('version'), image.value('run'), image.value('decided_seq'), image.value('indexed')]]
    }
} finally {
    if (isolated) tx.rollback()
}
