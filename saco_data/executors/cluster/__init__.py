"""Work on the nodes of a cluster, by Dask (the extra `dask`), with this process as coordinator."""
