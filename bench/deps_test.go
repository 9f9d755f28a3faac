package bench

import (
	_ "github.com/gomodule/redigo/redis"
	_ "github.com/hashicorp/memberlist"
	_ "github.com/redis/go-redis/v9"
	_ "github.com/redis/rueidis"
	_ "github.com/stretchr/testify/require"
	_ "github.com/tidwall/btree"
	_ "github.com/tidwall/match"
	_ "github.com/tidwall/redcon"
	_ "golang.org/x/sys/unix"
)
