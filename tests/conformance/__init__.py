"""The conformance suite: requests and what R4 4.0.1 says the answer must be, as tables in rows/.

A row names the section of the specification it holds the server to. Its steps run one after the other; each must be
answered with the status, headers, body and FHIRPath checks it states. All rows of a file share one server, whose
data the file's `setup` steps make; what a row writes has ids that begin with ${row}.
"""
