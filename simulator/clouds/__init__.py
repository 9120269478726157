"""Stand-ins of content clouds on loopback, each written from its vendor's published description."""
