"""A folder for each adapter: the rule tables of a kind of array. Imported when such an array is met."""
