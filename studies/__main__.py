"""python -m studies: the studies and their questions."""

import ast
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    source = path.read_text(encoding="utf-8")
    if 'if __name__ == "__main__":' not in source:
        continue  # what studies share
    question = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    print(f"python -m studies.{path.stem:15}  {question}")
