package redisstore

import (
	"crypto/sha1"
	"embed"
	"encoding/hex"
)

//go:embed lua/*.lua
var lua embed.FS

// script is one Lua script; its KEYS, ARGV and answers are said at its head.
// Each touches the keys of one slot only, so that it runs on a Cluster.
type script struct{ name, text, sha string }

func read(name string) *script {
	text, err := lua.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is part of the program
	}
	return &script{name, string(text), sha(string(text))}
}

// sha is the name that Redis gives a script.
func sha(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

var (
	scriptCommit    = read("commit")
	scriptBar       = read("bar")
	scriptSwap      = read("swap")
	scriptAddress   = read("address")
	scriptLeave     = read("leave")
	scriptRipen     = read("ripen")
	scriptLook      = read("look")
	scriptHold      = read("hold")
	scriptLetGo     = read("let_go")
	scriptClaim     = read("claim")
	scriptPutOff    = read("put_off")
	scriptSettle    = read("settle")
	scriptFind      = read("find")
	scriptCards     = read("find_cards")
	scriptCount     = read("count")
	scriptPut       = read("put")
	scriptTake      = read("take")
	scriptSwapValue = read("swap_value")
	scriptExpire    = read("expire")
	scriptAudit     = read("audit")
	scriptGather    = read("gather")
	scriptErase     = read("erase")
	scriptImport    = read("import")
	scriptReseal    = read("reseal")
)

// call makes the command that runs the script. All its keys lie in one slot.
func (s *script) call(keys []string, args ...any) *command {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, "evalsha", s.sha, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	return &command{key: keys[0], args: append(all, args...), script: s}
}

// plain makes an ordinary command on a key.
func plain(name, key string, args ...any) *command {
	return &command{key: key, args: append([]any{name, key}, args...)}
}
