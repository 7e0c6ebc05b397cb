// Writes images, clusters and their parts as they must be at the applied position, in the one transaction of this
// request. Bindings: labels [image, cluster, projection, member]; projection uid; wanted: the applied seq that what is
// written belongs to; clusters, rows [uid, cluster id or '' to remove it, head, since, root uid or '', parent uid or '',
// uids of its parts with commas, size, exemplars, own size, own exemplars]; images, rows [uid, image id or '' to remove
// it, uid of its segment, member seq, version, run, seq, walk uid, indexed (1 or 0)].
// Answers ['mended'] or, with nothing written, ['conflict', applied seq].
def (imageLabel, clusterLabel, projectionLabel, memberLabel) = labels
long applied = g.V().has('uid', projection).values('applied_seq').tryNext().orElse(0L)
if (applied != wanted) {
    graph.tx().rollback()
    return ['conflict', applied]
}
def vertexOf = { uid -> g.V().has('uid', uid).tryNext().orElse(null) }
def setText = { vertex, name, value -> value ? vertex.property(name, value) : vertex.property(name).remove() }

clusters.findAll { it[1] }.each { uid, id, head, since, root, parent, parts, size, exemplars, ownSize, ownExemplars ->
    def cluster = vertexOf(uid) ?: graph.addVertex(T.label, clusterLabel, 'uid', uid)
    cluster.property('cluster_id', id)
    cluster.property('head', head)
    setText(cluster, 'root', root)
    setText(cluster, 'parent', parent)
    setText(cluster, 'parts', parts)
    [since: since, size: size, exemplars: exemplars, own_size: ownSize, own_exemplars: ownExemplars].each { name, number ->
        cluster.property(name, number as long)
    }
}
images.each { uid, id, segmentUid, memberSeq, version, run, seq, walkUid, indexed ->
    def image = vertexOf(uid)
    if (!id) {
        image?.remove()
        return
    }
    if (image == null) image = graph.addVertex(T.label, imageLabel, 'uid', uid)
    image.property('image_id', id)
    [version: version, run: run, decided_seq: seq, indexed: indexed].each { name, number ->
        image.property(name, number as long)
    }
    image.property('walk_uid', walkUid)
    def segment = vertexOf(segmentUid)
    def kept = false
    image.edges(Direction.OUT, memberLabel).toList().each { edge ->
        def right = !kept && edge.inVertex().id() == segment.id() && edge.value('seq') == memberSeq &&
            edge.property('member_id').orElse('') == id
        if (right) kept = true else edge.remove()
    }
    if (!kept) image.addEdge(memberLabel, segment, 'seq', memberSeq as long, 'member_id', id)
}
clusters.findAll { !it[1] }.each { vertexOf(it[0])?.remove() }
graph.tx().commit()
return ['mended']
