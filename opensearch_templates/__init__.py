"""The OpenSearch side that writing and searching share: index template, names, documents, connection, setup."""
