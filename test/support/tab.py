#!/usr/bin/env python3
"""Presses TAB in an interactive bash or zsh: tab.py SHELL SCRIPT, with a JSON list of lines on stdin.

Prints a JSON list with the words that each line has become, all completions inserted. The shell itself prints them:
before Enter the line gets a command in front of it.
"""
import json
import os
import pty
import select
import sys
import time

LIMIT = 30
setup = {
    "bash": [
        "bind 'set enable-bracketed-paste off'",
        """bind '"\\t": insert-completions'""",
        "source '%s'",
    ],
    "zsh": [
        "unsetopt zle_bracketed_paste; unset zle_bracketed_paste; setopt interactive_comments",
        "autoload -Uz compinit; compinit -u -D",
        "zle -C all-matches complete-word _generic; bindkey '^I' all-matches; bindkey '^A' beginning-of-line",
        "zstyle ':completion:all-matches::::' completer _all_matches _complete",
        "zstyle ':completion:all-matches:*' insert true",
        "source '%s'",
    ],
}
arguments = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}


def main():
    shell, script = sys.argv[1:]
    lines = json.load(sys.stdin)
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", PS1="", COLUMNS="4000", LINES="4000")
        os.execvp(shell, arguments[shell])
    import fcntl, struct, termios
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 4000, 4000, 0, 0))
    said = b""

    def wait_for(text):
        nonlocal said
        end = time.monotonic() + LIMIT
        while text not in said:
            ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                sys.exit("%s did not print %r but: %r" % (shell, text, said[-2000:]))
            said += os.read(terminal, 65536)
        before, _, said = said.partition(text)
        return before

    def send(text):
        os.write(terminal, text.encode())

    for number, line in enumerate(setup[shell] + [""]):
        # Split, so that the echo of what is typed is not taken for the answer.
        send((line % script if "%s" in line else line) + "\n")
        send("printf '%%s-%%s\\n' ready '%d'\n" % number)
        wait_for(b"ready-%d" % number)
    answers = []
    for line in lines:
        send(line + "\t\x01printf '\\001%s\\002\\n' \n")
        send("printf 'do%s\\n' ne\n")
        answer = wait_for(b"done")
        answers.append([part.split(b"\2")[0].decode() for part in answer.split(b"\1")[1:]])
    send("exit\n")
    os.close(terminal)
    os.waitpid(child, 0)
    json.dump(answers, sys.stdout)


main()
