// The parts of a cluster in the order of reading, its own last. Bindings: cluster uid; projection uid; member label. Answers rows
// [cluster id, parent's cluster id or '', head, own size, first member's image id or ''].
requireWhole(g, projection)
def vertexOf = { uid -> g.V().has('uid', uid).tryNext().orElse(null) }
def text = { vertex, name -> vertex.property(name).orElse('') }
def asked = vertexOf(cluster)
if (asked == null) return []
def root = text(asked, 'root') ? vertexOf(text(asked, 'root')) : asked
return (text(root, 'parts').tokenize(',') + [root.value('uid')]).collect { uid ->
    def part = uid == root.value('uid') ? root : vertexOf(uid)
    def parent = text(part, 'parent')
    def first = g.V(part.id()).local(__.inE(member).order().by('seq').limit(1)).values('member_id').tryNext().orElse('')
    [part.value('cluster_id'), parent ? vertexOf(parent).value('cluster_id') : '', part.value('head'),
     part.value('own_size'), first]
}
