// Removes vertices of a graph that is closed. Bindings: uids; walkUids.
g.V().has('uid', within(uids as Set)).toList().each { it.remove() }
g.V().has('walk_uid', within(walkUids as Set)).toList().each { it.remove() }
graph.tx().commit()
return []
