"""The chat page in a real browser, on a real `tenon serve` and on one that answers as a test says.

    test_page.py TENON MODEL [PART-OF-A-NAME ...]

Prints a line per test and "N passed, N failed". Pictures go to build/page/.
"""

import sys

import harness

# The tests, in this order.
import checks_answers  # noqa: F401
import checks_keeping  # noqa: F401
import checks_failures  # noqa: F401
import checks_markdown  # noqa: F401
import checks_looks  # noqa: F401
import checks_access  # noqa: F401

if __name__ == "__main__":
    sys.exit(harness.main())
