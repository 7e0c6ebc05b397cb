"""LSH models for embeddings of any origin: checked samples, fitted projections, what to expect of them."""
