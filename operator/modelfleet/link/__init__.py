"""The link: both ends of the stream from each gateway to the operator, and its messages."""
