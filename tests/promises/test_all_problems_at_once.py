"""All that is wrong with a run is told at once, not one problem after another."""

import os
import unittest

from support.service_case import GenerationCase, other


class AllProblemsAtOnce(GenerationCase):
    def test_all_that_is_missing_is_told_at_once(self):
        service = self.serve()
        del os.environ["DASHSCOPE_API_KEY"]
        os.environ["DASHSCOPE_BASE_URL"] = "http://example.com"
        self.write("request.json", other(style_level="loud"))
        result = self.ends(self.go("--agian", "--interval", "x"), 2)
        self.assertEqual(
            sorted(result.fields),
            ["api_key", "arguments", "base_url", "interval", "style_level"],
        )
        self.assertEqual((service.seen, self.folders()), ([], []))


if __name__ == "__main__":
    unittest.main()
