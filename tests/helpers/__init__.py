"""What several tests use: pictures, annotation files, small subsets, and ways to run them."""
