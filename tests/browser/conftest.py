import sys
from pathlib import Path

# The makers of reports, as the unit tests have them.
sys.path.append(str(Path(__file__).parents[1] / "unit" / "report"))
