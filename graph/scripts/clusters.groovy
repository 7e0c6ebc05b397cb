// Clusters. Bindings: uids. Answers rows [cluster id, head, size, since, exemplars].
g.V().has('uid', within(uids as Set)).toList().collect {
    [it.value('cluster_id'), it.value('head'), it.value('size'), it.value('since'), it.value('exemplars')]
}
