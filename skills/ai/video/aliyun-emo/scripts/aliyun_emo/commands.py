"""The commands that hints name, as this program was started; what words of others mean here."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence

import prepare_emo_request as emo

PROGRAMS = "make_emo_video prepare_emo_request preview_emo_request run_emo_request".split()
MAKE, PREPARE, PREVIEW, RUN = PROGRAMS


def about(program: emo.Program, command: str) -> emo.Values:
    """Return what --help of a `command` says around its options (codes: prepare, 11, and runs)."""
    commands, _, exit_codes = program
    _, what, example = commands[command]
    lines = [f"  {name:9}{its}" for name, (_, its, _) in commands.items() if name]
    others = "\n\ncommands:\n" + "\n".join(lines) if lines else ""
    sizes = ", ".join(f"{ratio} gives {size}" for ratio, size in emo.VIDEO_SIZES.items())
    codes = "\n".join(f"  {code}  {meaning}" for code, meaning in sorted(exit_codes.items()))
    end = f"video size by ratio: {sizes}\n\nexample:\n  %(prog)s {example}\n\nexit codes:\n{codes}"
    return {"description": f"{what[0].upper()}{what[1:]}.{others}", "epilog": end}


def unknown_words(words: Sequence[str], program: emo.Program, report: emo.Report) -> bool:
    """Report unknown `words`: of options without the values, which may be secrets."""
    told = [word for word in words if word[:1] == "-" or (word and word in program[0])] or words
    has_key = any(emo.without_keys(w) != w and "://" not in w for w in words)
    for name in [word.partition("=")[0] for word in told[:20]]:
        hint = emo.KEY_HINT if has_key else hint_for(name, program, report.options)
        if name[:1] == "-" and name[1:2] != "-" and name[2:]:  # "-kVALUE" has a value
            name = name[:2] + "..."
        report.error("arguments", f"{emo.shown_link(name)} is not an option here", hint)
    if more := len(told[20:]):
        report.error("arguments", f"{more} more words are not options here", "See --help.")
    return True


def hint_for(word: str, program: emo.Program, fields: Iterable[str]) -> str:
    """Return what to do about a `word` that is none of the options of `fields`, or no command."""
    from difflib import get_close_matches

    commands, options, _ = program
    if word[:1] == "-" and os.path.exists(word):
        return f"A name that begins so is given as {for_the_shell([os.path.join('.', word)])}."
    if word.lower().endswith((".mp4", ".mov")) and "output" in options:
        return "The place of the video is given as -o FILE, in quotes if it has spaces."
    for field, (of, metavar, _) in options.items():
        if word == emo.option(field) or (metavar[:1] == "<" and word == f"--{field}-url"):
            return f"Leave it out: {of} has it." if of else f"Give its value alone, without {word}."
    if word and word in commands:
        return f"Put {word} first."
    names = [emo.option(field) for field in fields if options[field][2]]
    otherwise = "" if word[:1] == "-" else "Quote a name with spaces; run once for each file. "
    otherwise += f"The options are {', '.join(names)}."
    if not names:
        names = [*commands]
        otherwise = f"The first word is {' or '.join(names)}, or an option, such as --image FILE."
    word = word[:100].lower().replace("_", "-").strip("".join(emo.DASHES))
    stem = re.sub(r"^(input|aspect|source|poll)-|-(file|path|id|name|sec\w*|result)$", "", word)
    bare = {n.strip("-"): n for n in names if stem[2:] and n not in ("--pay", "--no-look")}
    close = get_close_matches(stem, [n for n in bare if n[0] == stem[:1]], 1, 0.8)  # no opposite
    close += [n for n in bare if n.startswith(stem)]
    return MEANT.get(word, f"Did you mean {bare[close[0]]}?" if close else otherwise)


def option_words(values: emo.Values, fields: Iterable[str]) -> list[str]:
    """Return the words that give those of the `fields` that the `values` have."""
    pairs = [("" if f == "file" else emo.option(f), values[f]) for f in fields if f in values]
    return [word for pair in pairs for word in pair if word]  # a flag has no value


def command(name: str, *words: str) -> str:
    """Return for the shell the command that starts the program `name`, as this one was started."""
    return for_the_shell([*starting(name), *words])


def look_first(again: str = "") -> str:
    """Return what to do where it is not known whether there is a task; `again` pays for one."""
    look = "Look in the console, bailian.console.aliyun.com. If its task is there, run only this:"
    end = f". If there is none, or it is FAILED or CANCELED, {again} pays for one." if again else ""
    return f"{look} {command(RUN, '--task', 'ID')} (ID is the task's, no request_id){end}"


def detect_hint(values: emo.Values) -> str:
    """Return how the boxes of the picture in the `values` of prepare are detected."""
    given = values.get("image_url") or values.get("image", "")
    name = "image_url" if given.lower().startswith(("http:", "https:")) else "image"
    if not given or emo.shown_link(given) != f"'{given}'":
        given = "PICTURE"  # none, or one that is not shown: a signature, a password, a key
    return f"Detect the picture first: {command(PREPARE, 'detect', emo.option(name), given)}"


def starting(name: str, anywhere: bool = False) -> list[str]:
    """Return the words that start the program `name` as this one was started, or `anywhere`."""
    typed, own = sys.argv[0], sys.executable or "python3"
    python = own if sys.prefix != sys.base_prefix else os.path.basename(own)  # a venv's own
    folder, stem = os.path.dirname(typed), os.path.splitext(os.path.basename(typed))[0]
    installed = name.replace("_", "-")
    if stem in [program.replace("_", "-") for program in PROGRAMS]:  # by pip
        here = os.path.abspath(os.path.join(folder, installed))
        return [installed if shutil.which(installed) else here]
    if anywhere or "UV" in os.environ or stem not in PROGRAMS or not shutil.which(python):
        python, folder = own, os.path.dirname(os.path.abspath(emo.__file__))
    return [python, os.path.join(folder, f"{name}.py")]


def for_the_shell(words: Sequence[str]) -> str:
    """Return a command of `words`, quoted for this system's shell."""
    if os.name == "nt" and "MSYSTEM" not in os.environ:  # Git's bash
        from subprocess import list2cmdline

        plain = [list2cmdline([word]) for word in words]  # to cmd.exe itself more marks mean much
        return " ".join(f'"{w}"' if w[0] != '"' and set("&|<>^") & set(w) else w for w in plain)
    import shlex

    return " ".join(map(shlex.quote, words))


MEANT = {  # words of other tools and versions, without dashes: what to use here
    **dict.fromkeys(("submit", "run"), f"Use {command(RUN)} FILE."),
    "wait": f"Leave it out: {command(RUN)} FILE and {MAKE}.py wait by themselves.",
    **dict.fromkeys(("list", "status"), f"Use {command(RUN)} without FILE."),
    **dict.fromkeys(("detect", "detect-only"), f"Use {command(PREPARE)} detect --image FILE."),
    **dict.fromkeys(("api-key", "apikey", "key", "token"), emo.KEY_HINT),
    **dict.fromkeys(("pay", "no-pay"), "Leave it out: run never asks, make asks without --pay."),
    **dict.fromkeys(("\\", "^", "`", " "), "Write the command in one line: the next was lost."),
    **dict.fromkeys(("base-url", "endpoint"), "Set the variable DASHSCOPE_HTTP_BASE_URL to it."),
}
