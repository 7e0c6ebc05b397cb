// A page of members, the newest first, over all segments of a cluster. Bindings: cluster uid; projection uid; member label;
// before: seqs below this one; limit. Answers rows [image id, member seq].
// As of the applied position and without locks, see members.groovy. Each segment gives its newest: there are few segments.
def tx = withoutLocks()
try {
    def g = tx.traversal()
    def vertexOf = { uid -> g.V().has('uid', uid).tryNext().orElse(null) }
    def text = { vertex, name -> vertex.property(name).orElse('') }
    requireWhole(g, projection)
    long applied = g.V().has('uid', projection).values('applied_seq').tryNext().orElse(0L)
    def asked = vertexOf(cluster)
    if (asked == null) return []
    def root = text(asked, 'root') ? vertexOf(text(asked, 'root')) : asked
    long below = Math.min(before as long, applied + 1L)
    def ids = text(root, 'parts').tokenize(',').collect { vertexOf(it).id() } + [root.id()]
    return ids.collectMany { id ->
        g.V(id).local(__.inE(member).has('seq', lt(below)).order().by('seq', desc).limit(limit as long)).toList()
            .collect { [it.value('member_id'), it.value('seq')] }
    }.sort { -it[1] }.take(limit as int)
} finally {
    tx.rollback()
}
