"""What people read: a review, a fit or a folder comes in; a page, a table of findings or a document leaves."""
