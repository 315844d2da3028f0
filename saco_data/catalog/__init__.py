"""The known collections and subsets: manifests, their schema, licences."""
