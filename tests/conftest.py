"""Settings of the whole suite; they have to be made before torch is loaded."""

import os

# Threads that wait for each other sleep instead of spinning, as in `python -m training`: where others
# are busy, steps of small networks would else take ten times as long. Processes that tests start inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
