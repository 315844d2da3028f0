"""The config file: reads and checks it, and gives the paths of subsets."""
