// A page of members. Bindings: cluster uid; member label; after; limit. Answers rows [image id, member seq].
// local() makes the vertex-centric index serve the order; without it all edges are read and sorted.
g.V().has('uid', cluster)
    .local(__.inE(member).has('seq', gt(after as long)).order().by('seq').limit(limit as long))
    .toList().collect { [it.value('member_id'), it.value('seq')] }
