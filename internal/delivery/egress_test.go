package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// waysOut are what can begin a connection: functions, variables, and types whose values can.
var waysOut = map[string][]string{
	"net":                                    {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "DialIP", "Dialer"},
	"net/http":                               {"Client", "DefaultClient", "Get", "Head", "Post", "PostForm", "Transport", "DefaultTransport"},
	"net/http/httputil":                      {"ReverseProxy", "NewSingleHostReverseProxy", "NewClientConn", "NewProxyClientConn"},
	"crypto/tls":                             {"Dial", "DialWithDialer", "Dialer"},
	"net/smtp":                               {"Dial", "NewClient", "SendMail"},
	"net/rpc":                                {"Dial", "DialHTTP", "DialHTTPPath"},
	"net/rpc/jsonrpc":                        {"Dial"},
	"syscall":                                {"Connect", "Socket"},
	"golang.org/x/sys/unix":                  {"Connect", "Socket"},
	"github.com/wneessen/go-mail":            {"Client", "NewClient"},
	"github.com/wneessen/go-mail/smtp":       {"Dial", "NewClient", "SendMail"},
	"github.com/jackc/pgx/v5":                {"Connect", "ConnectConfig", "ConnectWithOptions"},
	"github.com/jackc/pgx/v5/stdlib":         {"OpenDB", "OpenDBFromPool", "GetConnector", "GetDefaultDriver"},
	"github.com/getkin/kin-openapi/openapi3": {"ReadFromHTTP", "DefaultReadFromURI"},
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": {"New", "NewClient"},
	"github.com/coreos/go-oidc/v3/oidc":                               {"NewProvider", "NewRemoteKeySet"},
	"google.golang.org/grpc":                                          {"Dial", "DialContext", "NewClient"},
}

// besides are the packages, and the functions and types of others, that may use a way out, with the reason.
var besides = map[string]string{
	"internal/delivery Guard.dial":         "this is the guard",
	"internal/delivery Guard.dialDirectly": "this is the guard",
	"internal/delivery Guard.dialThrough":  "hands the dialler on to what the guard permits",
	"internal/delivery Guard.tryEach":      "hands the dialler on to what the guard permits",
	"internal/delivery Guard.reach":        "hands the dialler on to what the guard permits",
	"internal/delivery Proxy.dial":         "the proxy that the operator names",
	"internal/delivery Client":             "dials through the guard",
	"internal/delivery NewClient":          "its transport dials through the guard",
	"internal/delivery Client.mail":        "mails go over connections that the guard has made",
	"internal/sso New":                     "each request goes through a delivery.Client, and redirects are not followed",
	"internal/sso Provider.ask":            "asks by the client of New",
	"internal/perscom Client.File":         "for redirects of files that are imported: each request goes through a delivery.Client",
	"internal/tracing New":                 "sends through the delivery.Client that it is given, which the operator points at a collector",
	"internal/store":                       "the operator's database, at the address of --database",
	"cmd/bugle healthCommand.Run":          "asks the server beside it whether it is well, at the address that its user gives",
	"cmd/bugle newForwarder":               "bugle listen forwards to the one address that its user gives",
	"cmd/bugle forwarder.pass":             "bugle listen forwards to the one address that its user gives",
	"cmd/bugle bench.limit":                "measures the receiver of the same run, on loopback",
	"cmd/bugle apiBench.request":           "measures the server of the same run, on loopback",
	"cmd/bugle fetch":                      "asks the servers that a measurement has started, on loopback",
	"cmd/bugle benchPanelCommand.measure":  "measures the server of the same run, on loopback",
	"cmd/bugle newCaller":                  "calls the server of the same run, on loopback",
	"cmd/bugle strangers.send":             "floods the server of the same run, on loopback",
}

// networked are the modules of others that could call out and that the program imports, with the reason why none does so
// around the guard.
var networked = map[string]string{
	"golang.org/x/net":                                                "header and host names, and a listener that counts",
	"github.com/google/uuid":                                          "reads the addresses of network cards, which is not asked for",
	"github.com/schollz/progressbar/v3":                               "can serve a bar's state, which is not asked for",
	"github.com/alexedwards/scs/v2":                                   "a middleware of the server",
	"github.com/wneessen/go-mail":                                     "dials by the function that it is given: see Client.mail",
	"github.com/prometheus/client_golang":                             "answers requests; nothing is pushed",
	"github.com/jackc/pgx/v5":                                         "the operator's database",
	"modernc.org/sqlite":                                              "a file; its C library has sockets that it does not use",
	"github.com/coreos/go-oidc/v3":                                    "asks the provider by the client that it is given: see sso.New",
	"golang.org/x/oauth2":                                             "asks the provider by the client that it is given: see sso.New",
	"go.opentelemetry.io/otel":                                        "reads and writes headers",
	"go.opentelemetry.io/otel/sdk":                                    "hands spans to the exporter",
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": "sends by the client that it is given: see tracing.New",
}

const modulePath = "github.com/buglehq/bugle"

// A listed is a package as go list describes it.
type listed struct {
	ImportPath, Dir, Export string
	Standard                bool
	GoFiles, Imports, Deps  []string
	Module                  *struct{ Path string }
}

func listPackages(t *testing.T) []*listed {
	t.Helper()
	command := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,Standard,GoFiles,Imports,Deps,Module", "./...", "net/smtp")
	command.Dir = filepath.Join("..", "..")
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, problems.Bytes())
	}
	var list []*listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := decoder.Decode(p); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// A checker finds ways out in packages.
type checker struct {
	files    *token.FileSet
	importer types.Importer
}

func newChecker(list []*listed) *checker {
	exports := map[string]string{}
	for _, p := range list {
		exports[p.ImportPath] = p.Export
	}
	files := token.NewFileSet()
	return &checker{files, importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})}
}

// find returns what each declaration of a package uses of the ways out, by its name.
func (c *checker) find(t *testing.T, path, folder string, names []string) map[string][]string {
	t.Helper()
	var parsed []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(c.files, filepath.Join(folder, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: c.importer}
	if _, err := config.Check(path, c.files, parsed, info); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, file := range parsed {
		for _, declared := range file.Decls {
			var above []ast.Node
			ast.Inspect(declared, func(n ast.Node) bool {
				if n == nil {
					above = above[:len(above)-1]
					return true
				}
				above = append(above, n)
				if name, ok := n.(*ast.Ident); ok && isWayOut(info.Uses[name], above) {
					object := info.Uses[name]
					by := declaredName(declared, n)
					found[by] = append(found[by], object.Pkg().Path()+"."+object.Name())
				}
				return true
			})
		}
	}
	return found
}

// isWayOut reports whether what an identifier stands for is a way out. A pointer to a type is none: what it points to has been
// made somewhere.
func isWayOut(object types.Object, above []ast.Node) bool {
	if object == nil || object.Pkg() == nil || object.Parent() != object.Pkg().Scope() || !slices.Contains(waysOut[object.Pkg().Path()], object.Name()) {
		return false
	}
	if _, isType := object.(*types.TypeName); !isType {
		return true
	}
	parent := above[len(above)-2]
	if _, qualified := parent.(*ast.SelectorExpr); qualified {
		parent = above[len(above)-3]
	}
	_, pointer := parent.(*ast.StarExpr)
	return !pointer
}

// declaredName names what a node is part of: a function, a method with its type, a type or a variable.
func declaredName(declared ast.Decl, n ast.Node) string {
	switch d := declared.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return d.Name.Name
		}
		return strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*") + "." + d.Name.Name
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if n.Pos() < spec.Pos() || n.Pos() > spec.End() {
				continue
			}
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				return spec.Name.Name
			case *ast.ValueSpec:
				return spec.Names[0].Name
			}
		}
	}
	return ""
}

// Nothing of the program begins a connection but the guard, and what is named here with a reason.
func TestEveryWayOutIsGuarded(t *testing.T) {
	list := listPackages(t)
	c := newChecker(list)
	used := map[string]bool{}
	byPath := map[string]*listed{}
	for _, p := range list {
		byPath[p.ImportPath] = p
	}
	packages := 0
	for _, p := range list {
		if p.Module == nil || p.Module.Path != modulePath {
			continue
		}
		packages++
		for by, what := range c.find(t, p.ImportPath, p.Dir, p.GoFiles) {
			folder := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, modulePath), "/")
			name := folder + " " + by
			if besides[folder] != "" {
				name = folder
			}
			used[name] = true
			if besides[name] == "" {
				t.Errorf("%s uses %s: go through delivery.Client, or add it to besides with a reason", name, strings.Join(what, ", "))
			}
		}
		for _, path := range p.Imports {
			other := byPath[path]
			if other == nil || other.Standard || other.Module == nil || other.Module.Path == modulePath || !slices.Contains(other.Deps, "net") {
				continue
			}
			used[other.Module.Path] = true
			if networked[other.Module.Path] == "" {
				t.Errorf("%s imports %s, which can call out: make sure that it does not, or goes through delivery.Client, and add its module %s to networked with the reason",
					p.ImportPath, path, other.Module.Path)
			}
		}
	}
	if packages < 10 {
		t.Errorf("only %d packages were looked at", packages)
	}
	for _, exceptions := range []map[string]string{besides, networked} {
		for name := range exceptions {
			if !used[name] {
				t.Errorf("%s needs no exception any more", name)
			}
		}
	}
}

// What the test above would have to find, it finds.
func TestEveryWayOutIsGuarded_findsEscapes(t *testing.T) {
	c := newChecker(listPackages(t))
	found := c.find(t, "egress", filepath.Join("testdata", "egress"), []string{"escapes.go"})
	escapes := 0
	source, err := parser.ParseFile(token.NewFileSet(), filepath.Join("testdata", "egress", "escapes.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name := range source.Scope.Objects {
		escape := strings.HasPrefix(name, "escape")
		if escape {
			escapes++
		}
		if (len(found[name]) > 0) != escape {
			t.Errorf("%s: found %v", name, found[name])
		}
	}
	if escapes < 11 {
		t.Errorf("only %d escapes", escapes)
	}
}
