"""What collections and subsets there are: manifests, their schema, licences."""
