// Removes images and their clusters. Bindings: uids (of the walk); member label.
g.V().has('walk_uid', within(uids as Set)).toList().each { image ->
    image.vertices(Direction.OUT, member).each { it.remove() }
    image.remove()
}
graph.tx().commit()
return []
