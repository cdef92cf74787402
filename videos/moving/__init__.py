"""Moving in: another installation is imported, with its rows, its files and its addresses.

`vlog` reads the original VLog, `mediacms` a MediaCMS. `survey` tells what would happen and what would be lost; nothing
is written before it has passed. Each chunk of rows is one transaction, and `import_map` has what is here, so that an
import that was killed goes on, and a second one adds nothing.
"""
