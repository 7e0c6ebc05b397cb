// The clusters that ids stand for. Bindings: uids; projection uid. Answers rows [uid, cluster id, head, size, since, exemplars, ids of
// its parts in the order of reading, the own one left out].
requireWhole(g, projection)
def rootOf = { it.property('root').isPresent() ? g.V().has('uid', it.value('root')).next() : it }
return g.V().has('uid', within(uids as Set)).toList().collect { cluster ->
    def root = rootOf(cluster)
    def parts = root.property('parts').orElse('').tokenize(',')
    def names = parts ? g.V().has('uid', within(parts)).toList().collectEntries {
        [(it.value('uid')): it.value('cluster_id')]
    } : [:]
    [cluster.value('uid'), root.value('cluster_id'), root.value('head'), root.value('size'), root.value('since'),
     root.value('exemplars'), parts.collect { names[it] }]
}
