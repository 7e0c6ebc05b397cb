// Where images are, and the clusters that hold them. Bindings: uids, at least one; member label; projection uid. Answers [position,
// rows as placementsOf has them, rows as clusterRow has them]; the position is read first. Without locks: one that waited for the
// writer while it held what the writer waits for would cost both a second.
def tx = withoutLocks()
try {
    def g = tx.traversal()
    requireWhole(g, projection)
    def position = positionOf(g, projection)
    def roots = [:]
    def placements = placementsOf(g, g.V().has('uid', within(uids as Set)).toList(), member, roots)
    return [position, placements, roots.values().collect { clusterRow(g, it) }]
} finally {
    tx.rollback()
}
