"""Tables of other programs in, tables for other programs out. Every file is untrusted; nothing of it is run or fetched.

What enters is a file of another program; what leaves is the frame that `metapeer.records.csvfile.read_outcomes` gives.
`metapeer.records.interchange.door` reads any format, `metapeer.records.interchange.export` writes those that have a
way back.
"""
