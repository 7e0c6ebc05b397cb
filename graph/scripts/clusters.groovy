// The clusters that ids stand for. Bindings: uids; projection uid. Answers rows [uid, …], the rest as clusterRow has it.
requireWhole(g, projection)
def rootOf = { it.property('root').isPresent() ? g.V().has('uid', it.value('root')).next() : it }
return g.V().has('uid', within(uids as Set)).toList().collect { [it.value('uid')] + clusterRow(g, rootOf(it)) }
