// Applies consecutive entries and moves the position, in the one transaction of this request.
// Bindings: labels [image, cluster, projection, member]; projection uid; wanted: the applied seq to be found; upto [seq,
// ledger offset, proposal offset]; rows, each of a kind:
//   ['decision', imageUid, imageId, clusterUid, clusterId, head, version, run, seq, walkUid, indexed (1 or 0)]
//   ['head', clusterUid, clusterId, head]
//   ['merge', clusterUid, clusterId, intoUid, intoId, head]
//   ['unmerge', clusterUid, clusterId, outOfUid, outOfId, head]
//   ['erase', imageUid, imageId, head or '']
// A cluster that is a part of another one has a root, the one it is read through, and a parent, the one that it was
// merged into; both are uids. parts: the uids of all parts of a cluster but its own, in the order of reading; a part
// keeps those that it had. own_size and own_exemplars count the members of a part, size and exemplars those of a root.
// Answers ['applied'], or what was in the way after rolling back: ['conflict', applied seq], ['head', image id],
// ['cluster', cluster id].
def (imageLabel, clusterLabel, projectionLabel, memberLabel) = labels
def positionVertex = { g.V().has('uid', projection).tryNext().orElse(null) }
def projectionVertex = positionVertex()
if (projectionVertex == null && wanted == 0L) {
    // Two first writers must meet: BerkeleyJE, which lives in this one process, takes no lock on what is absent; on
    // other storage the LOCK of the unique index lets one of them create the position.
    graph.tx().rollback()
    synchronized (graph) {
        if (positionVertex() == null) {
            graph.addVertex(T.label, projectionLabel, 'uid', projection, 'applied_seq', 0L, 'ledger_offset', -1L,
                            'proposal_offset', -1L)
        }
        graph.tx().commit()
    }
    projectionVertex = positionVertex()
}
long applied = projectionVertex == null ? 0L : projectionVertex.value('applied_seq')
if (applied != wanted) {
    graph.tx().rollback()
    return ['conflict', applied]
}

def uids = rows.collectMany { it[0] == 'decision' ? [it[1], it[3]] : [it[1]] } as Set
def found = g.V().has('uid', within(uids)).toList().collectEntries { [(it.value('uid')): it] }
uids.each { found.putIfAbsent(it, null) }
def touched = [:]

def text = { vertex, name -> vertex.property(name).orElse('') }
def vertexOf = { uid ->
    if (!found.containsKey(uid)) found[uid] = g.V().has('uid', uid).tryNext().orElse(null)
    return found[uid]
}
def rootOf = { cluster -> text(cluster, 'root') ? vertexOf(text(cluster, 'root')) : cluster }
def partsOf = { cluster -> text(cluster, 'parts').tokenize(',') }
def setText = { vertex, name, value -> value ? vertex.property(name, value) : vertex.property(name).remove() }
// Counts change with every row, and are written once at the end.
def counts = [:]
def countsOf = { vertex ->
    counts.computeIfAbsent(vertex.id()) {
        [vertex: vertex] + ['size', 'exemplars', 'own_size', 'own_exemplars'].collectEntries { [(it): vertex.value(it)] }
    }
}
// A root without members lets go of its parts; all of them are removed at the end, unless an image makes one anew.
def dissolve = { root ->
    partsOf(root).collect(vertexOf).each { part ->
        ['root', 'parent', 'parts'].each { setText(part, it, '') }
        countsOf(part).putAll([size: 0L, exemplars: 0L])
        touched[part.value('uid')] = part
    }
    setText(root, 'parts', '')
    touched[root.value('uid')] = root
}
def count = { part, size, exemplars ->
    def root = rootOf(part)
    def (own, all) = [countsOf(part), countsOf(root)]
    own.own_size += size
    own.own_exemplars += exemplars
    all.size += size
    all.exemplars += exemplars
    if (all.size == 0L) dissolve(root)
}
def edgeOf = { image ->
    def edges = image.edges(Direction.OUT, memberLabel)
    edges.hasNext() ? edges.next() : null
}
// Takes the image out of its cluster; answers false when a head would leave members behind.
def leave = { image, edge ->
    def part = edge.inVertex()
    def root = rootOf(part)
    [part, root].each { found[it.value('uid')] = it }
    if (countsOf(root).size > 1L && root.value('head') == image.value('image_id')) return false
    edge.remove()
    count(part, -1L, -image.value('indexed'))
    return true
}
def isRoot = { cluster -> cluster != null && !text(cluster, 'root') }

// Each answers what is in the way, or null.
def apply = [
    decision: { imageUid, imageId, clusterUid, clusterId, head, version, run, seq, walkUid, indexed ->
        def cluster = found[clusterUid]
        if (cluster == null) {
            cluster = graph.addVertex(T.label, clusterLabel, 'uid', clusterUid, 'cluster_id', clusterId, 'head', head,
                                      'size', 0L, 'exemplars', 0L, 'own_size', 0L, 'own_exemplars', 0L,
                                      'since', seq as long)
            found[clusterUid] = cluster
        }
        if (!isRoot(cluster)) return ['cluster', clusterId]
        def image = found[imageUid]
        def edge = image == null ? null : edgeOf(image)
        if (image == null) {
            image = graph.addVertex(T.label, imageLabel, 'uid', imageUid, 'image_id', imageId)
            found[imageUid] = image
        }
        if (edge == null || rootOf(edge.inVertex()).id() != cluster.id()) {
            if (edge != null && !leave(image, edge)) return ['head', imageId]
            if (countsOf(cluster).size == 0L) cluster.property('since', seq as long)
            image.addEdge(memberLabel, cluster, 'seq', seq as long, 'member_id', imageId)
            count(cluster, 1L, indexed as long)
        } else {
            count(edge.inVertex(), 0L, (indexed as long) - image.value('indexed'))
        }
        if (cluster.value('head') != head) cluster.property('head', head)
        image.property('version', version as long)
        image.property('run', run as long)
        image.property('decided_seq', seq as long)
        image.property('indexed', indexed as long)
        image.property('walk_uid', walkUid)
        return null
    },
    head: { clusterUid, clusterId, head ->
        def cluster = vertexOf(clusterUid)
        if (!isRoot(cluster)) return ['cluster', clusterId]
        cluster.property('head', head)
        return null
    },
    merge: { sourceUid, sourceId, intoUid, intoId, head ->
        def source = vertexOf(sourceUid)
        def into = vertexOf(intoUid)
        if (!isRoot(source)) return ['cluster', sourceId]
        if (!isRoot(into)) return ['cluster', intoId]
        def parts = partsOf(source) + [sourceUid]
        parts.each { vertexOf(it).property('root', intoUid) }
        source.property('parent', intoUid)
        setText(into, 'parts', (partsOf(into) + parts).join(','))
        countsOf(into).size += countsOf(source).size
        countsOf(into).exemplars += countsOf(source).exemplars
        into.property('head', head)
        return null
    },
    unmerge: { clusterUid, clusterId, outOfUid, outOfId, head ->
        def cluster = vertexOf(clusterUid)
        def root = vertexOf(outOfUid)
        if (cluster == null || root == null || text(cluster, 'root') != outOfUid) return ['cluster', clusterId]
        def taken = partsOf(cluster) + [clusterUid]
        for (def uid = text(cluster, 'parent'); uid; uid = text(vertexOf(uid), 'parent')) {
            setText(vertexOf(uid), 'parts', (partsOf(vertexOf(uid)) - taken).join(','))
        }
        partsOf(cluster).each { vertexOf(it).property('root', clusterUid) }
        ['root', 'parent'].each { setText(cluster, it, '') }
        cluster.property('head', head)
        def (part, rest) = [countsOf(cluster), countsOf(root)]
        part.size = taken.sum { countsOf(vertexOf(it)).own_size }
        part.exemplars = taken.sum { countsOf(vertexOf(it)).own_exemplars }
        rest.size -= part.size
        rest.exemplars -= part.exemplars
        if (rest.size == 0L) dissolve(root)
        return null
    },
    erase: { imageUid, imageId, head ->
        def image = vertexOf(imageUid)
        if (image == null) return null
        def edge = edgeOf(image)
        if (head) rootOf(edge.inVertex()).property('head', head)
        if (!leave(image, edge)) return ['head', imageId]
        image.remove()
        found[imageUid] = null
        return null
    }
]

for (row in rows) {
    def blocked = apply[row[0]].call(*row.drop(1))
    if (blocked != null) {
        graph.tx().rollback()
        return blocked
    }
}

counts.values().each { now ->
    ['size', 'exemplars', 'own_size', 'own_exemplars'].each {
        if (now.vertex.value(it) != now[it]) now.vertex.property(it, now[it])
    }
}
touched.values().findAll { countsOf(it).size == 0L }.each { it.remove() }

projectionVertex.property('applied_seq', upto[0] as long)
projectionVertex.property('ledger_offset', upto[1] as long)
projectionVertex.property('proposal_offset', upto[2] as long)
graph.tx().commit()
return ['applied']
