"""The checker of the headers' documentation must fail where it should."""

import unittest

import check_header_docs
import headers

KNOWN = {"FER_OK", "FER_EINVAL"}

GOOD = """
FER_BEGIN_DECLS
/** A thing. */
typedef struct fer_thing {
    int size; /**< in bytes */
    /** The other one. */
    int other;
} fer_thing;

/** Called at the end. */
typedef void (*fer_thing_cb)(fer_thing *thing, void *user);

/**
 * Make a thing.
 *
 * @param size        in bytes.
 * @param cb          one-shot.
 * @param[out] thing  receives it.
 * Ownership: the caller owns it.
 * Thread: any.
 * Callbacks: may be called from any callback.
 * @return FER_OK; FER_EINVAL
 *         for nonsense.
 * Seed: none.
 */
FER_API fer_status fer_thing_new(int size, void (*cb)(int, void *),
                                 fer_thing **thing);
FER_END_DECLS
"""


class CheckHeaderDocs(unittest.TestCase):
    def problems(self, old: str = "", new: str = "") -> list[str]:
        self.assertIn(old, GOOD)
        return check_header_docs.check_text(GOOD.replace(old, new) if old else GOOD, "thing.h", KNOWN)

    def assert_problem(self, text: str, old: str, new: str) -> None:
        self.assertTrue(any(text in problem for problem in self.problems(old, new)), self.problems(old, new))

    def test_good(self) -> None:
        self.assertEqual(self.problems(), [])

    def test_parses_names(self) -> None:
        functions, types = headers.parse(GOOD, "thing.h")
        self.assertEqual([function.parameters for function in functions], [["size", "cb", "thing"]])
        self.assertEqual([kind.name for kind in types], ["fer_thing", "fer_thing_cb"])

    def test_each_label_is_needed(self) -> None:
        for label in ("Ownership:", "Thread:", "Callbacks:", "@return", "Seed:"):
            with self.subTest(label):
                self.assert_problem(f"lacks the label {label}", f" * {label}", " * And")

    def test_order(self) -> None:
        self.assert_problem(
            "has its labels in the order",
            " * Thread: any.\n * Callbacks: may be called from any callback.\n",
            " * Callbacks: may be called from any callback.\n * Thread: any.\n",
        )

    def test_twice(self) -> None:
        self.assert_problem("more than once", " * Thread: any.\n", " * Thread: any.\n * Thread: any.\n")

    def test_empty_label(self) -> None:
        self.assert_problem("says nothing after Thread:", "Thread: any.", "Thread:")

    def test_parameter_missing(self) -> None:
        self.assert_problem("documents the parameters", " * @param size        in bytes.\n", "")

    def test_parameter_of_another_name(self) -> None:
        self.assert_problem("documents the parameters", "@param size", "@param length")

    def test_parameter_without_meaning(self) -> None:
        self.assert_problem("@param size says nothing", "@param size        in bytes.", "@param size")

    def test_unknown_status(self) -> None:
        self.assert_problem("FER_ENOPE, which is no status", "FER_EINVAL", "FER_ENOPE")

    def test_status_without_values(self) -> None:
        self.assert_problem("@return names none", "@return FER_OK; FER_EINVAL\n", "@return something\n")

    def test_no_documentation(self) -> None:
        self.assert_problem(
            "fer_thing_new has no documentation", " * Seed: none.\n */\n", " * Seed: none.\n */\n\n"
        )

    def test_no_description(self) -> None:
        self.assert_problem("does not say what it does", " * Make a thing.\n", "")

    def test_type_without_documentation(self) -> None:
        self.assert_problem("type fer_thing has no documentation", "/** A thing. */\n", "")
        self.assert_problem("type fer_thing_cb has no documentation", "/** Called at the end. */\n", "")

    def test_member_without_documentation(self) -> None:
        self.assert_problem("no comment for: int size", " /**< in bytes */", "")
        self.assert_problem("no comment for: int other", "    /** The other one. */\n", "")


if __name__ == "__main__":
    unittest.main()
