"""One adapter a file: the rule table of each kind of array. Imported when such an array is met."""
