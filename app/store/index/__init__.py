"""The search index: what values a version has for each search parameter, and how they stand in the tables.

`param` of a row is the code of a search parameter, or that code with a suffix:

    code:text                  string rows: text and displays of a token, for :text
    identifier:of-type         token rows: system is "system|code" of the type, value the value, for :of-type
    subject:identifier         token rows: the identifier of a reference, for :identifier
    description:part           string rows: overlapping pieces of a long text, for :contains
    value-quantity:canonical   quantity rows in canonical UCUM units
    subject:present            one token row where there is a value, but none that could be searched for: for :missing
    code-value-quantity.0      rows of the first component of a composite, with the suffixes of its own kind;
                               rows of the same version and item belong together
    *                          reference rows: what only elements without a parameter refer to

makers: tokens.py, references.py, texts.py, ranges.py, fulltext.py; what is looked for where: definitions.py, ways.py,
plans.py; whether all of it is there: state.py, reindex.py.
"""
