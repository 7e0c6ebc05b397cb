// The applied position. Bindings: projection uid. Answers [seq, ledger offset, proposal offset] or nothing.
positionOf(g, projection)
