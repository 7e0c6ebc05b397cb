// Where images are. Bindings: lookup, 'uid' or 'walk_uid'; uids; member label; projection uid; isolated: in a transaction of its own
// that takes no locks, for long walks. Answers rows as placementsOf has them.
def tx = isolated ? withoutLocks() : graph
try {
    def g = tx.traversal()
    requireWhole(g, projection)
    return placementsOf(g, g.V().has(lookup, within(uids as Set)).toList(), member, [:])
} finally {
    if (isolated) tx.rollback()
}
