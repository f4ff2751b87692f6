// A HikariCP pool of JDBC connections: for each line of stdin, all of them query at the same time.
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;

public class Pool {
  static final int SIZE = 5;

  public static void main(String[] args) throws Exception {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(args[0]);
    config.setUsername(args[1]);
    config.setPassword(System.getenv("PGPASSWORD"));
    config.setMaximumPoolSize(SIZE);
    config.addDataSourceProperty("prepareThreshold", "1");
    Set<Integer> first = new HashSet<>();
    ExecutorService threads = Executors.newFixedThreadPool(SIZE);
    try (HikariDataSource pool = new HikariDataSource(config)) {
      BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        try {
          List<Connection> connections = new ArrayList<>();
          for (int at = 0; at < SIZE; at++) connections.add(pool.getConnection());
          String name = "java " + line;
          List<Future<?>> work = new ArrayList<>();
          for (Connection one : connections)
            work.add(
                threads.submit(
                    () -> {
                      var add = "insert into used values (?, pg_backend_pid()) returning n";
                      try (var statement = one.prepareStatement(add)) {
                        statement.setString(1, name);
                        statement.executeQuery().close();
                      }
                      return null;
                    }));
          for (Future<?> one : work) one.get();
          // The process that the client was told of when it connected: another one is another connection.
          for (Connection one : connections) first.add(one.unwrap(PGConnection.class).getBackendPID());
          for (Connection one : connections) one.close();
          if (first.size() > SIZE) throw new Exception((first.size() - SIZE) + " connections were lost");
          System.out.println("ok");
        } catch (Exception error) {
          System.out.println("error: " + error);
        }
      }
    }
    threads.shutdown();
  }
}
