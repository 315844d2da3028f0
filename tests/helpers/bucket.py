"""The bucket on loopback of the fixture `bucket_server`, for prepared files."""

BUCKET = "prepared"
PLACE = f"s3://{BUCKET}/silver"
