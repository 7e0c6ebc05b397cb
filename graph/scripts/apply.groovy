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
if (projectionVertex?.property('dropping')?.isPresent()) {
    graph.tx().rollback()
    throw new IllegalStateException('the graph is being dropped, to be rebuilt')
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

// What changes of a cluster is noted here and written once, at the end: a property of a vertex is searched for among all
// that this transaction has added to the vertex, its new members included.
def notes = [:]
def notesOf = { vertex -> notes.computeIfAbsent(vertex.id()) {
    [vertex: vertex, now: vertex.properties().collectEntries { [(it.key()): it.value()] }, changed: [] as Set]
} }
def read = { vertex, name -> notesOf(vertex).now[name] }
def note = { vertex, name, value ->
    def entry = notesOf(vertex)
    if (entry.now[name] == value) return
    entry.now[name] = value
    entry.changed << name
}
def text = { vertex, name -> read(vertex, name) ?: '' }
def vertexOf = { uid ->
    if (!found.containsKey(uid)) found[uid] = g.V().has('uid', uid).tryNext().orElse(null)
    return found[uid]
}
def rootOf = { cluster -> text(cluster, 'root') ? vertexOf(text(cluster, 'root')) : cluster }
def partsOf = { cluster -> text(cluster, 'parts').tokenize(',') }
def add = { vertex, name, number -> note(vertex, name, read(vertex, name) + number) }
// A root without members lets go of its parts; all of them are removed at the end, unless an image makes one anew.
def dissolve = { root ->
    partsOf(root).collect(vertexOf).each { part ->
        ['root', 'parent', 'parts'].each { note(part, it, '') }
        note(part, 'size', 0L)
        note(part, 'exemplars', 0L)
        touched[part.id()] = part
    }
    note(root, 'parts', '')
    touched[root.id()] = root
}
def count = { part, size, exemplars ->
    def root = rootOf(part)
    add(part, 'own_size', size)
    add(part, 'own_exemplars', exemplars)
    add(root, 'size', size)
    add(root, 'exemplars', exemplars)
    if (read(root, 'size') == 0L) dissolve(root)
}
def edgeOf = { image ->
    def edges = image.edges(Direction.OUT, memberLabel)
    edges.hasNext() ? edges.next() : null
}
// Takes the image out of its cluster; answers false when a head would leave members behind.
def leave = { image, edge ->
    def part = edge.inVertex()
    def root = rootOf(part)
    [part, root].each { found[read(it, 'uid')] = it }
    if (read(root, 'size') > 1L && read(root, 'head') == image.value('image_id')) return false
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
            if (read(cluster, 'size') == 0L) note(cluster, 'since', seq as long)
            image.addEdge(memberLabel, cluster, 'seq', seq as long, 'member_id', imageId)
            count(cluster, 1L, indexed as long)
        } else {
            count(edge.inVertex(), 0L, (indexed as long) - image.value('indexed'))
        }
        note(cluster, 'head', head)
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
        note(cluster, 'head', head)
        return null
    },
    merge: { sourceUid, sourceId, intoUid, intoId, head ->
        def source = vertexOf(sourceUid)
        def into = vertexOf(intoUid)
        if (!isRoot(source)) return ['cluster', sourceId]
        if (!isRoot(into)) return ['cluster', intoId]
        def parts = partsOf(source) + [sourceUid]
        parts.each { note(vertexOf(it), 'root', intoUid) }
        note(source, 'parent', intoUid)
        note(into, 'parts', (partsOf(into) + parts).join(','))
        add(into, 'size', read(source, 'size'))
        add(into, 'exemplars', read(source, 'exemplars'))
        note(into, 'head', head)
        return null
    },
    unmerge: { clusterUid, clusterId, outOfUid, outOfId, head ->
        def cluster = vertexOf(clusterUid)
        def root = vertexOf(outOfUid)
        if (cluster == null || root == null || text(cluster, 'root') != outOfUid) return ['cluster', clusterId]
        def taken = partsOf(cluster) + [clusterUid]
        for (def uid = text(cluster, 'parent'); uid; uid = text(vertexOf(uid), 'parent')) {
            note(vertexOf(uid), 'parts', (partsOf(vertexOf(uid)) - taken).join(','))
        }
        partsOf(cluster).each { note(vertexOf(it), 'root', clusterUid) }
        ['root', 'parent'].each { note(cluster, it, '') }
        note(cluster, 'size', taken.sum { read(vertexOf(it), 'own_size') })
        note(cluster, 'exemplars', taken.sum { read(vertexOf(it), 'own_exemplars') })
        note(cluster, 'head', head)
        add(root, 'size', -read(cluster, 'size'))
        add(root, 'exemplars', -read(cluster, 'exemplars'))
        if (read(root, 'size') == 0L) dissolve(root)
        return null
    },
    erase: { imageUid, imageId, head ->
        def image = vertexOf(imageUid)
        if (image == null) return null
        def edge = edgeOf(image)
        if (head) note(rootOf(edge.inVertex()), 'head', head)
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

def gone = touched.values().findAll { read(it, 'size') == 0L }
gone.each { it.remove() }
notes.keySet().removeAll(gone*.id())
notes.values().each { entry ->
    entry.changed.each { name ->
        def value = entry.now[name]
        if (value == '') entry.vertex.property(name).remove() else entry.vertex.property(name, value)
    }
}

projectionVertex.property('applied_seq', upto[0] as long)
def rebuilt = projectionVertex.property('rebuilt_upto')
if (rebuilt.isPresent() && rebuilt.value() <= upto[0]) rebuilt.remove()
projectionVertex.property('ledger_offset', upto[1] as long)
projectionVertex.property('proposal_offset', upto[2] as long)
graph.tx().commit()
return ['applied']
