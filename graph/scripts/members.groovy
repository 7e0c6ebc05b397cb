// A page of members. Bindings: cluster uid; projection uid; member label; after [digest of a segment or '', seq]; limit;
// digestLength: how much of a segment's uid its digest is.
// Answers ['page', rows [image id, member seq, digest of the segment]], or ['cursor', []] when the cluster has no such
// segment. Members are read segment by segment, those merged into the cluster first and its own last.
// It is read as of the applied position, up to which everything is committed, and without locks: a reader that waits for
// a record of a writer that gives up goes on to the next one, and misses the same record written again.
// local() makes the vertex-centric index serve the order; without it all edges are read and sorted.
def tx = withoutLocks()
try {
    def g = tx.traversal()
    def vertexOf = { uid -> g.V().has('uid', uid).tryNext().orElse(null) }
    def text = { vertex, name -> vertex.property(name).orElse('') }
    requireWhole(g, projection)
    def applied = g.V().has('uid', projection).values('applied_seq').tryNext().orElse(0L)
    def asked = vertexOf(cluster)
    if (asked == null) return ['page', []]
    def root = text(asked, 'root') ? vertexOf(text(asked, 'root')) : asked
    // One property, so that a merge is seen whole or not at all.
    def parts = text(root, 'parts').tokenize(',') + [root.value('uid')]
    def (segment, seq) = after
    def start = segment ? parts.findIndexOf { it.startsWith(segment) } : 0
    if (start < 0) return ['cursor', []]
    def rows = []
    for (uid in parts.drop(start)) {
        def part = uid == root.value('uid') ? root : vertexOf(uid)
        g.V(part.id())
            .local(__.inE(member).has('seq', gt(seq as long)).has('seq', lte(applied)).order().by('seq')
                .limit((limit as long) - rows.size()))
            .toList().each { rows << [it.value('member_id'), it.value('seq'), uid.take(digestLength)] }
        if (rows.size() >= limit) break
        seq = 0L
    }
    return ['page', rows]
} finally {
    tx.rollback()
}
