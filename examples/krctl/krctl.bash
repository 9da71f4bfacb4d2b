# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of krctl for bash: commands, options, drivers, serial ports, chips and their lines, keys
# of a spec.

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

# _krctl_gpio COMMAND WORD: chips and names of lines, and specs.
_krctl_gpio() {
    local word=$2 drivers="gpiod: gpiomem: sim-gpio:"
    case $word in
    *\?*)
        local keys="mode= pull= active-low= value= events= debounce= kernel-debounce= clock= buffer=
            consumer="
        local done=${word%"${word##*[?&]}"}
        mapfile -t COMPREPLY < <(compgen -P "$done" -W "$keys" -- "${word##*[?&]}")
        ;;
    gpiod:*)
        mapfile -t COMPREPLY < <(compgen -P gpiod: -W "$(_krctl_chips)" -- "${word#*:}")
        ;;
    *)
        case $1 in
        *list) drivers+=" $(_krctl_chips)" ;;
        *info) drivers+=" $(_krctl_chips) $(_krctl_lines "")" ;;
        *set | *until) drivers+=" $(_krctl_lines "=")" ;;
        *) drivers+=" $(_krctl_lines "")" ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$drivers" -- "$word")
        ;;
    esac
    case ${COMPREPLY[*]} in
    *[:=] | gpiod:*) compopt -o nospace ;;
    esac
}

# Labels that are one word, and names.
_krctl_chips() {
    command krctl gpio list 2>/dev/null | sed -n 's/^\([^ ]*\) \[\([^] ]*\)\].*/\1 \2/p'
}

# _krctl_lines END: names that are one word, with END behind each.
_krctl_lines() {
    command krctl gpio info 2>/dev/null | sed -n "s/^\tline *[0-9]*:\t\"\([^\" ]*\)\".*/\1$1/p"
}

# _krctl_listed CLASS: specs of the devices of this machine, and a simulated one.
_krctl_listed() {
    command krctl list --class "$1" 2>/dev/null | sed -n 's/^\([a-z0-9-]*:[^ ]*\).*/\1/p'
    case $1 in
    i2c | spi | pwm) echo "sim-$1:" ;;
    esac
}

# _krctl_bus COMMAND WORD: what comes after the command, when it is a spec of its class.
_krctl_bus() {
    local class=${1%% *}
    mapfile -t COMPREPLY < <(compgen -W "$(_krctl_listed "$class")" -- "$2")
    case ${COMPREPLY[*]} in
    *:) compopt -o nospace ;;
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
    "gpio list") echo --backend --help --json ;;
    "gpio info") echo --backend --by-name --chip --help --json --unquoted ;;
    "gpio get") echo --active-low --as-is --backend --bias --by-name --chip --consumer --help --hold-period --json --numeric --unquoted ;;
    "gpio set" | "gpio toggle") echo --active-low --backend --bias --by-name --chip --consumer --count --drive --help --hold-period --json --numeric --quiet --toggle --unquoted --verbose ;;
    "gpio mon") echo --active-low --backend --banner --bias --by-name --chip --consumer --debounce-period --edges --event-clock --format --help --idle-timeout --json --num-events --quiet --simulate --unquoted ;;
    "gpio until") echo --active-low --any --backend --bias --by-name --chip --consumer --help --json --numeric --simulate --timeout --unquoted ;;
    "dma copy") echo --backend --engine --help --quiet ;;
    "dma bench") echo --backend --help --json --largest --time ;;
    "irq count") echo --count --help --kind --timeout --vector ;;
    "mmio read" | "mmio write" | "mmio dump") echo --big-endian --help --region --width ;;
    "i2c scan") echo --all --backend --help --json --quick --read --timeout --yes ;;
    "i2c get") echo --all --backend --force --help --retries --ten-bit --timeout --wide --yes ;;
    "i2c set") echo --all --backend --force --help --mask --read-back --retries --ten-bit --timeout --wide --yes ;;
    "i2c dump") echo --all --backend --force --help --range --retries --ten-bit --timeout --yes ;;
    "i2c transfer") echo --all --backend --force --help --retries --ten-bit --timeout --yes ;;
    "i2c info" | "spi info") echo --backend --help --json ;;
    "mem info") echo --backend --help --json --timeout ;;
    "mem read") echo --backend --help --raw --timeout ;;
    "mem write") echo --backend --help --timeout --verify ;;
    "pwm get") echo --backend --channel --help --json ;;
    "pwm set") echo --backend --channel --help --hold-period --json --quiet ;;
    "spi xfer") echo --backend --bits --cs-high --delay --help --loop --lsb-first --mode --no-cs --raw --read --speed --split --three-wire --timeout ;;
    "value get") echo --backend --channel --help --json --timeout ;;
    "value set") echo --backend --channel --help --timeout ;;
    demo) echo --backend --baud --help --input --log --seconds --tty ;;
    drivers) echo --help ;;
    info) echo --backend --help ;;
    list) echo --class --help --json --sysroot ;;
    "vfio bind") echo --group --help --user ;;
    "vfio show") echo --help --json ;;
    "vfio unbind") echo --help ;;
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

    local commands="char demo dma drivers gpio help i2c info irq list mem mmio player pwm spi uart value vfio"
    command=${words[1]}
    if [ "${#words[@]}" -gt 2 ]; then
        case $command in
        char) commands="read write cat monitor" place=2 ;;
        dma) commands="copy bench" place=2 ;;
        gpio) commands="list info get set toggle mon until" place=2 ;;
        i2c) commands="scan get set dump transfer info" place=2 ;;
        irq) commands="count" place=2 ;;
        mem) commands="info read write" place=2 ;;
        mmio) commands="read write dump" place=2 ;;
        pwm) commands="get set" place=2 ;;
        spi) commands="xfer info" place=2 ;;
        value) commands="get set" place=2 ;;
        uart) commands="show set lines break" place=2 ;;
        vfio) commands="show bind unbind" place=2 ;;
        help) commands="char demo dma drivers gpio i2c info irq list mem mmio player pwm spi uart value vfio" place=2 ;;
        esac
    fi
    [ "$place" -eq 2 ] && command="$command ${words[2]}"

    if [ "$((${#words[@]} - 1))" -le "$place" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
    elif [[ $previous == --backend || $previous == -B ]]; then
        mapfile -t COMPREPLY < <(compgen -W "auto uring epoll" -- "$word")
    elif [[ $command == gpio* && $previous == @(--chip|-c) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_krctl_chips) sim-gpio:" -- "$word")
    elif [[ $command == gpio* && $previous == @(--bias|-b) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "as-is disabled pull-up pull-down" -- "$word")
    elif [[ $command == gpio* && $previous == @(--edges|-e) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "both rising falling" -- "$word")
    elif [[ $command == gpio* && $previous == @(--drive|-d) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "push-pull open-drain open-source" -- "$word")
    elif [[ $command == gpio* && $previous == @(--event-clock|-E) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "monotonic realtime" -- "$word")
    elif [[ $command == list && $previous == @(--class|-c) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "char uart timer gpio i2c spi pwm mem mmio dma" -- "$word")
    elif [ "$command" = drivers ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(command krctl drivers 2>/dev/null | sed -n 's/^  \([a-z0-9-]*\):.*/\1/p')" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_krctl_options "$command")" -- "$word")
    elif [[ $previous == --input || $previous == --log || $previous == --tty ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    elif [[ $command == gpio* ]]; then
        _krctl_gpio "$command" "$word"
    elif [[ $previous == --engine || $previous == -e || $command == "dma bench" ]]; then
        mapfile -t COMPREPLY < <(compgen -W "dma0 memdma: sim-dma:" -- "$word")
    elif [ "$command" = "dma copy" ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames
    elif [[ $command == vfio* && ${#words[@]} -eq 4 ]]; then
        mapfile -t COMPREPLY < <(cd /sys/bus/pci/devices 2>/dev/null && compgen -G "$word*")
    elif [[ $command == @(i2c|spi|pwm|mem)\ * && ${#words[@]} -eq 4 ]]; then
        _krctl_bus "$command" "$word"
    elif [ "$command" = "pwm set" ]; then
        mapfile -t COMPREPLY < <(compgen -W "frequency= period= duty= polarity=normal polarity=inversed
            enable=yes enable=no" -- "$word")
        compopt -o nospace
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
