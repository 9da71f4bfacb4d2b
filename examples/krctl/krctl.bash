# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of krctl for bash: commands, options, drivers and serial ports, keys of a spec.

# _krctl_spec WORD: paths, names of ports, and specs.
_krctl_spec() {
    local word=$1 path
    case $word in
    *\?*) # keys: of the last one, the name
        local keys="baud= data= parity= stop= flow= exclusive= errors= rs485= low-latency= frame="
        local done=${word%"${word##*[?&]}"}
        mapfile -t COMPREPLY < <(compgen -P "$done" -W "$keys" -- "${word##*[?&]}")
        compopt -o nospace
        ;;
    tty:* | file:*)
        mapfile -t COMPREPLY < <(compgen -P "${word%%:*}:" -f -- "${word#*:}")
        compopt -o nospace
        ;;
    /* | .*)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
        ;;
    *)
        local drivers="tty: file: fd:"
        for path in /dev/tty{USB,ACM,AMA}[0-9]* /dev/serial/by-id/*; do
            [ -e "$path" ] && drivers+=" $path"
        done
        mapfile -t COMPREPLY < <(compgen -W "$drivers" -- "$word")
        compopt -o nospace
        ;;
    esac
}

# _krctl_options COMMAND: its long options, and -h.
_krctl_options() {
    case $1 in
    "char read") echo --backend --count --frames --gap --help --hex --min --raw --text --timeout --timestamps ;;
    "char write") echo --backend --flush --frames --help --hex --timeout ;;
    "char cat") echo --backend --help --hold --timeout ;;
    "char monitor") echo --backend --crlf --echo --help --hex --reconnect --timestamps ;;
    "uart show" | "uart set") echo --backend --help --json ;;
    "uart lines") echo --backend --count --help --json --timeout --wait ;;
    "uart break") echo --backend --help ;;
    demo) echo --backend --baud --help --input --log --seconds --tty ;;
    info) echo --backend --help ;;
    list) echo --help ;;
    player) echo --baud --help --input --print ;;
    esac
}

_krctl() {
    # Bash has cut the line at : and = as well; a spec is one word here.
    local line=${COMP_LINE:0:COMP_POINT} words word previous command place=1
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[-1]}
    previous=${words[-2]}
    COMPREPLY=()

    local commands="char demo help info list player uart"
    command=${words[1]}
    if [ "${#words[@]}" -gt 2 ]; then
        case $command in
        char) commands="read write cat monitor" place=2 ;;
        uart) commands="show set lines break" place=2 ;;
        help) commands="char demo info list player uart" place=2 ;;
        esac
    fi
    [ "$place" -eq 2 ] && command="$command ${words[2]}"

    if [ "$((${#words[@]} - 1))" -le "$place" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
    elif [[ $previous == --backend || $previous == -B ]]; then
        mapfile -t COMPREPLY < <(compgen -W "auto uring epoll" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_krctl_options "$command")" -- "$word")
    elif [[ $previous == --input || $previous == --log || $previous == --tty ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    elif [ "$place" -eq 2 ] && [ "${#words[@]}" -eq 4 ]; then
        _krctl_spec "$word"
    elif [ "$command" = "uart lines" ]; then
        mapfile -t COMPREPLY < <(compgen -W "dtr=on dtr=off rts=on rts=off" -- "$word")
    elif [ "$command" = "uart set" ]; then
        mapfile -t COMPREPLY < <(compgen -W "baud= data= parity=none parity=odd parity=even
            parity=mark parity=space stop=1 stop=2 flow=none flow=rtscts flow=xonxoff rs485=yes
            rs485=no low-latency=yes low-latency=no hupcl=yes hupcl=no" -- "$word")
        compopt -o nospace
    fi

    # Readline replaces what follows the last break, not the whole word.
    local broken=${word%"${word##*[:=]}"}
    if [ -n "$broken" ] && [[ $COMP_WORDBREAKS == *[:=]* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$broken"}")
    fi
}

complete -F _krctl krctl
