package acl

import (
	"fmt"
	"slices"
	"strings"
)

// usersMax bounds the users of a node.
const usersMax = 10_000

// Users are those that somebody made or changed, sorted by name. The zero value
// is none.
type Users struct{ list []*User }

func (s Users) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.list, name, func(u *User, name string) int { return strings.Compare(u.Name, name) })
}

// Get returns the user of that name, nil if there is none.
func (s Users) Get(name string) *User {
	if i, ok := s.find(name); ok {
		return s.list[i]
	}
	return nil
}

// With returns the users with one added, or in the place of the one of that name.
func (s Users) With(u *User) (Users, error) {
	i, ok := s.find(u.Name)
	if !ok && len(s.list) == usersMax {
		return s, fmt.Errorf("there are %d users already", usersMax)
	}
	list := slices.Clone(s.list)
	if ok {
		list[i] = u
	} else {
		list = slices.Insert(list, i, u)
	}
	return Users{list}, nil
}

// Without returns the users without one; ok is false if there was none.
func (s Users) Without(name string) (rest Users, ok bool) {
	i, ok := s.find(name)
	if !ok {
		return s, false
	}
	return Users{slices.Delete(slices.Clone(s.list), i, i+1)}, true
}

// All returns the users, sorted by name. The slice is the caller's.
func (s Users) All() []*User { return slices.Clone(s.list) }
