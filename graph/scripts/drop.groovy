// Removes images and their clusters, with all parts. Bindings: uids (of the walk); member label.
def vertexOf = { uid -> g.V().has('uid', uid).tryNext().orElse(null) }
def clusters = [:]
g.V().has('walk_uid', within(uids as Set)).toList().each { image ->
    image.vertices(Direction.OUT, member).each { segment ->
        def root = segment.property('root').isPresent() ? vertexOf(segment.value('root')) : null
        (root?.property('parts')?.orElse('') ?: segment.property('parts').orElse('')).tokenize(',')
            .collect(vertexOf).plus([segment, root]).findAll().each { clusters[it.id()] = it }
    }
    image.remove()
}
clusters.values().each { it.remove() }
graph.tx().commit()
return []
