export HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd "$HOME"
case $(tty) in
/dev/tty1) export TERM=linux ;;
/dev/ttyS0) export TERM=xterm; stty sane ;;
esac
